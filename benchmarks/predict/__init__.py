"""How long a bundle would take on a device that is not at hand: predicted from published runs, not measured.

    models = load_models()
    device = models.find("Snapdragon 855+")[0]
    print(predict(bundle_work(bundle), device, models.ranges).sentence())

`python -m pocketdet.benchmarks.predict.fit` writes the coefficients; see docs/explanation/prediction.md.
"""

from pocketdet.benchmarks.predict.coefficients import DeviceModel, DeviceModels, load_models
from pocketdet.benchmarks.predict.prediction import Prediction, predict
from pocketdet.benchmarks.predict.workload import Workload, bundle_work, graph_work

__all__ = [
    "DeviceModel",
    "DeviceModels",
    "Prediction",
    "Workload",
    "bundle_work",
    "graph_work",
    "load_models",
    "predict",
]
