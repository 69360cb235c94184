"""The whole system on one machine: package index, PostgreSQL and Airflow, under a process manager."""
