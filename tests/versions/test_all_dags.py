"""The cluster policy that alerts for all DAGs is called by each Airflow that is promised."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_voicepartner.notifications import all_dags

BRUNO = "+33612345602"


@pytest.fixture
def policy() -> Iterator[None]:
    """Register the policy with Airflow, where the environment was set up before it had an entry point."""
    from airflow import settings as airflow_settings

    found = getattr(airflow_settings, "POLICY_PLUGIN_MANAGER", None)
    manager = found or airflow_settings.get_policy_plugin_manager()
    if manager.is_registered(all_dags):
        yield
        return
    manager.register(all_dags)
    yield
    manager.unregister(all_dags)


def test_airflow_applies_it_to_the_dags_that_it_loads_and_stores_no_recipient(
    policy: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    try:
        from airflow.dag_processing.dagbag import DagBag
    except ImportError:
        from airflow.models.dagbag import DagBag
    try:
        from airflow.serialization.serialized_objects import DagSerialization as Serialized
    except ImportError:
        from airflow.serialization.serialized_objects import SerializedDAG as Serialized

    monkeypatch.setenv("AIRFLOW__VOICEPARTNER__ALERT_TO", f"@anne, {BRUNO}")
    folder = tmp_path / "dags"
    folder.mkdir()
    (folder / "plain.py").write_text(
        "from airflow_provider_voicepartner.compat import DAG, BaseOperator\n"
        "# airflow DAG\n"
        "with DAG('plain', schedule=None): BaseOperator(task_id='load')\n"
    )
    bag = DagBag(dag_folder=str(folder))
    assert bag.import_errors == {}
    assert isinstance(bag.dags["plain"].on_failure_callback[0], all_dags.AlertForAllDags)
    stored = json.dumps(Serialized.to_dict(bag.dags["plain"]), default=str)
    assert '"has_on_failure_callback": true' in stored
    assert "anne" not in stored
    assert BRUNO[3:] not in stored
