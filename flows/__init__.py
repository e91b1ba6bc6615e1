"""One Prefect flow for each stage, one that runs them all, and the command line.

Importing this package applies the tools' settings (see `tasks.settings`) for the working folder,
because Prefect and MLflow read them when they are imported.
"""

from pathlib import Path

from tasks.settings import apply_settings

apply_settings(Path.cwd())
