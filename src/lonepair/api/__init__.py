"""The public Python API: models, jobs and batches of trainings."""
