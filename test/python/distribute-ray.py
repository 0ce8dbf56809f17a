# REQUIRES: python-ray
# RUN: rm -rf %t && mkdir %t && %python %S/distribute.py Distribute.test_same_bytes_as_one_run_and_resumes Distribute.test_failing_layer_is_named_others_are_kept ray %t
"""test/python/distribute.py with the workers of a Ray cluster on this machine."""
