"""One Airflow DAG for each client's YAML file. Everything it does is in the delivery package, in plugins."""

from pathlib import Path

from client_delivery.dag import deliveries

for dag in deliveries(Path(__file__).resolve().parent):
    globals()[dag.dag_id] = dag
