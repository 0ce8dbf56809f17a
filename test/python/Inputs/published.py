"""Matrices of the published layers, written from their definitions, and random
checkpoints of them. Shares no code with structured.checkpoints.
"""

import numpy as np


def blast_matrix(b, c, d):
    """B [b_out,p,r], C [b_in,r,q], D [b_out,b_in,r], the released modules'."""
    return np.block([[b[i] @ np.diag(d[i, j]) @ c[j] for j in range(len(c))]
                     for i in range(len(b))])


def mask(width, location, n, sigma):
    """A boxcar of round(width n) places from round(location n) on, cyclically
    convolved with the Gaussian whose k-th Fourier coefficient is
    exp(-k^2 / 2 sigma^2); a box of at most one place is empty."""
    count, start = int(np.rint(np.float32(width) * np.float32(n))), int(
        np.rint(np.float32(location) * np.float32(n)))
    box = np.zeros(n)
    if abs(count) > 1:
        for place in range(start, start + count):
            box[place % n] += 1
    if sigma is None:
        return box
    kernel = np.zeros(n)
    for k in range(n):
        frequency = min(k, n - k)
        kernel += np.exp(-0.5 * (frequency / sigma) ** 2) * np.cos(
            2 * np.pi * k * np.arange(n) / n) / n
    smooth = np.array([sum(box[j] * kernel[(i - j) % n] for j in range(n)) for i in range(n)])
    smooth[np.abs(smooth) < 1e-3] = 0
    return smooth


def gblr_matrix(tensors, sigma):
    """[m,n] of one module's tensors; `sigma` None: no smoothing."""
    weight1, weight2 = (np.float64(tensors[key]) for key in ("lr_weight1", "lr_weight2"))
    m, n = weight2.shape[1], weight1.shape[2]
    result = np.zeros((m, n))
    for k in range(len(weight1)):
        columns, rows = (mask(tensors["widths"][side, k], tensors["locations"][side, k], size,
                              sigma) for side, size in ((0, n), (1, m)))
        result += np.outer(rows, columns) * (weight2[k] @ weight1[k])
    return result


def monarch_matrix(first, second):
    """Of blkdiag1 [k,q,p] and blkdiag2 [l,s,r], column by column: the product
    with each unit vector, reshaped as the paper's code does."""
    (k, q, p), (blocks, s, r) = first.shape, second.shape
    columns = []
    for unit in np.eye(k * p):
        middle = np.concatenate([first[i] @ x for i, x in enumerate(unit.reshape(k, p))])
        dealt = middle.reshape(r, blocks).T
        columns.append(np.stack([w @ x for w, x in zip(second, dealt)]).T.ravel())
    return np.stack(columns, axis=1)


def random_blast(random, b_out, b_in, p, q, r, dtype=np.float32):
    return {"B": random.standard_normal((b_out, p, r)).astype(dtype),
            "C": random.standard_normal((b_in, r, q)).astype(dtype),
            "D": random.standard_normal((b_out, b_in, r)).astype(dtype)}


def random_gblr(random, m, n, components, rank, sigma=100.0, widths=(0.0, 0.9)):
    """Locations are not clamped to [0, 1]: many components wrap."""
    return {"lr_weight1": random.standard_normal((components, rank, n)).astype(np.float32),
            "lr_weight2": random.standard_normal((components, m, rank)).astype(np.float32),
            "widths": random.uniform(*widths, (2, components)).astype(np.float32),
            "locations": random.uniform(-1.5, 2.5, (2, components)).astype(np.float32),
            "sigma": np.array(sigma, np.float32),
            "freq_in": np.arange(n // 2 + 1, dtype=np.float32),
            "freq_out": np.arange(m // 2 + 1, dtype=np.float32)}


def named(layer, tensors):
    return {f"{layer}.{key}": array for key, array in tensors.items()}
