"""Third-party ONNX files: read, summarised and converted to one normal form.

- `load`: the file, as untrusted input.
- `graph`: producers, consumers and constants of a graph by name.
- `image_input`: the input that holds the image, and its size.
- `outputs`: outputs of any rank as maps or rows.
- `simplified`: the graph of fixed size without what is constant.
- `summary`: what a file contains, for recognition and for `pocketdet info`.
"""
