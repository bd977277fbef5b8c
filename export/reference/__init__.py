"""The detector that a bundle is made from and compared with.

- `base`: the interface that the export, `verify` and the evaluation use, and the common part of PyTorch
  models; `two_stage` and `one_stage` complete it.
- `network`: one graph of a detector before any conversion.
- `onnx_reference`: an ONNX file and a description of its outputs, read by `description`.
- `factory`: the reference of a model, of an ONNX file or of a bundle.
"""
