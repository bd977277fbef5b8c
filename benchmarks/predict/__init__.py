"""Predict how long a bundle takes on a device that is not available, from published runs of ncnn.

    models = load_models()
    device = models.find("Snapdragon 855+")[0]
    print(predict(bundle_work(bundle), device, models.ranges).milliseconds)

`python -m pocketdet.benchmarks.predict.fit` fits the coefficients that ship:
docs/explanation/prediction.md explains how.
"""

from pocketdet.benchmarks.predict.coefficients import DeviceModel, DeviceModels, load_models
from pocketdet.benchmarks.predict.prediction import Prediction, predict
from pocketdet.benchmarks.predict.workload import Workload, bundle_work

__all__ = ["DeviceModel", "DeviceModels", "Prediction", "Workload", "bundle_work", "load_models", "predict"]
