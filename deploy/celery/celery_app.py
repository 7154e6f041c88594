"""The Celery app of a worker: `celery --workdir deploy/celery -A celery_app worker --pool solo`; one for each run.

The pool is `solo`, since the steps of a run are processes, which Celery's other processes may not start.
"""

import os

from dagster_celery.make_app import make_app  # pyright: ignore[reportMissingImports] - installed by who uses Celery
from dagster_celery.tasks import create_execute_job_task, create_resume_job_task  # pyright: ignore[reportMissingImports] - same

URL = os.environ["ATLAS_REDIS_URL"]
app = make_app({"broker": URL, "backend": URL, "config_source": {"task_track_started": True}})
execute_job = create_execute_job_task(app)
resume_job = create_resume_job_task(app)
