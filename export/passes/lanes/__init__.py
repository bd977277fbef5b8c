"""The parts of lane alignment; `pocketdet.export.passes.align_lanes` is the way in.

    trace -> (widths: search) -> widen -> placement -> layout -> padding -> rewrite -> proof

`roles` says what kinds of layers there are and `role_rules` which layer is of which kind, `sinks` where
channels must arrive. `trace` follows every channel of the graph as it is, `widen` every lane of the net with
other widths, `placement` gives each channel a lane that reaches the same places, `layout` says for each
position of a blob where it comes from, `padding` that zeros stay finite, `rewrite` moves the weights, `proof`
runs both in ncnn.
"""
