"""Families of detectors that `pocketdet export model.onnx` recognises by their heads.

- `base`: the interface; `recognise`: the choice among `FAMILIES`.
- One module per family, or for families with like heads; `rows`, `provenance`, `joined_boxes` take a joined
  YOLO head apart, `probe` runs the file once to see that a description decodes as the file does.
"""

from pocketdet.export.families.base import FamilyOptions
from pocketdet.export.families.recognise import FAMILIES, Recognised, recognise

__all__ = ["FAMILIES", "FamilyOptions", "Recognised", "recognise"]
