"""Third-party ONNX files: summarised, and read into one normal form.

- `load`: the file, as untrusted input; half precision widened to float32, quantised files refused.
- `graph`: producers, consumers and constants of a graph by name.
- `summary`: what a file contains, for recognition and for `pocketdet info`.
- `read`: the whole way into the normal form; it uses the following.
- `cut`: a graph cut at any tensor.
- `image_input`: the input that holds the image, its size, and channels last.
- `simplified`: the graph of fixed size without what is constant.
- `conversions`: operators that pnnx does not convert, by equal ones.
- `outputs`: outputs of any rank as maps or rows.
"""
