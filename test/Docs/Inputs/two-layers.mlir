func.func @main(%x: tensor<?x384xf32>, %y0: tensor<?x384xf32>, %z0: tensor<?x30xf32>) -> tensor<?x30xf32> {
  %query = structured.parameter "encoder.layer.0.attention.self.query.weight" : tensor<384x384xf32>
  %y = structured.linear {layer = "encoder.layer.0.attention.self.query"} ins(%x, %query : tensor<?x384xf32>, tensor<384x384xf32>) outs(%y0 : tensor<?x384xf32>) -> tensor<?x384xf32>
  %classifier = structured.parameter "classifier.weight" : tensor<30x384xf32>
  %z = structured.linear {layer = "classifier"} ins(%y, %classifier : tensor<?x384xf32>, tensor<30x384xf32>) outs(%z0 : tensor<?x30xf32>) -> tensor<?x30xf32>
  return %z : tensor<?x30xf32>
}
