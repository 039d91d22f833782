"""MLflow: one run with parameters, metrics by epoch, and the files that people read."""

from __future__ import annotations

import mlflow

from frostline.integrations.tracking.log import Numbers
from frostline.run.run_folder import AUDIT, METRICS, PLAN, REPORT

_FILES = (REPORT, PLAN, METRICS, AUDIT)


def write(numbers: Numbers) -> str:
    """Log to the tracking server or folder that MLflow is set to."""
    with mlflow.start_run(run_name=numbers.folder.resolve().name) as run:
        mlflow.log_params(numbers.settings)
        for epoch, values in numbers.epochs:
            mlflow.log_metrics(values, step=epoch)
        mlflow.log_metrics({f"test_{name}": value for name, value in numbers.test.items()})
        for name in _FILES:
            if (numbers.folder / name).is_file():
                mlflow.log_artifact(str(numbers.folder / name))
        return f"MLflow run {run.info.run_id} at {mlflow.get_tracking_uri()}"
