"""Rows of accuracy that nothing measured, for tests of what is made of them."""

from pocketdet.evaluation.report import ClassReport, DataReport, VariantReport
from pocketdet.models.config import Postprocessing

SHA = "a" * 64
DATA = DataReport(
    file="test.json",
    split=None,
    sha256=SHA,
    pictures=9,
    pictures_listed=9,
    left_out=0,
    objects=9,
    ignored=0,
    class_names=("nut",),
)


def variant(form: str, ap: float, emulated: str | None = None) -> VariantReport:
    shares = dict.fromkeys(("ap50", "ap75", "ap_small", "ap_medium", "ap_large", "ar100", "voc_11"), 0.9)
    return VariantReport(
        target="net",
        sha256=SHA,
        form=form,  # type: ignore[arg-type]
        name=form,
        weights="fp32",
        arithmetic="fp32",
        bytes=4_000_000,
        emulated=emulated,
        rule=Postprocessing(),
        ap=ap,
        voc_area=0.9,
        per_class=(ClassReport(name="nut", objects=9, ap=ap, ap50=0.9, voc_11=0.9, voc_area=0.9),),
        **shares,
    )
