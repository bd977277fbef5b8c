"""The detector that a bundle is made from and compared with.

- `base`: the interface that the export, `verify` and the evaluation use.
- `network`: one graph of a detector before any conversion.
- `torch_reference`: the common part of PyTorch models; `two_stage` and `one_stage` complete it.
- `onnx_reference`: an ONNX file and a description of its outputs, read by `description`.
- `factory`: the reference of a model, of an ONNX file or of a bundle.
"""
