"""MLflow: an experiment for each data set, at $MLFLOW_TRACKING_URI, else where MLflow keeps its own."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gansmith.trackers.adapter import About

if TYPE_CHECKING:
    from PIL.Image import Image

LONGEST = 500
"""Characters of a parameter's value, which every version of MLflow takes."""
TAG = "gansmith.run"


class MLflow:
    """A run of MLflow by its client alone: no run is made active, and none of the user's is touched."""

    def init(self, about: About) -> None:
        """Begins a run of the experiment; a run that goes on is found by its folder."""
        from mlflow import MlflowClient
        from mlflow.entities import Param

        client: Any = MlflowClient()
        found = client.get_experiment_by_name(about.project)
        experiment = found.experiment_id if found else client.create_experiment(about.project)
        where = str(about.path.absolute())
        same = f"tags.`{TAG}` = '{where.replace(chr(39), '')}'"
        earlier = client.search_runs([experiment], same, max_results=1) if about.start_step else []
        if earlier:
            self._id = earlier[0].info.run_id
        else:
            tags = {TAG: where.replace("'", "")}
            self._id = client.create_run(experiment, run_name=about.name, tags=tags).info.run_id
            params = [Param(name, str(value)[:LONGEST]) for name, value in about.config.items()]
            for start in range(0, len(params), 100):
                client.log_batch(self._id, params=params[start : start + 100])
        self._client = client

    def log(self, step: int, values: Mapping[str, float], sheet: "Image | None") -> None:
        """Logs numbers, or a sheet as an artifact."""
        import time

        from mlflow.entities import Metric

        if values:
            now = int(1000 * time.time())
            self._client.log_batch(self._id, [Metric(name, value, now, step) for name, value in values.items()])
        if sheet is not None:
            self._client.log_image(self._id, sheet, key="fixed noise", step=step)

    def finish(self, state: str) -> None:
        """Marks the run."""
        self._client.set_terminated(self._id, {"finished": "FINISHED", "interrupted": "KILLED"}.get(state, "FAILED"))
