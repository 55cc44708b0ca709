"""Import every module of an installed Dialstock: run by an interpreter that has nothing else, with -I."""

import importlib
import pkgutil

for name in ("schemas", "tasks", "workers"):
    package = importlib.import_module(name)
    if "site-packages" not in package.__file__:
        raise SystemExit(f"{name} is not the installed one: {package.__file__}")
    for module in pkgutil.walk_packages(package.__path__, f"{name}."):
        # these run when they are imported: the app by the demo, migrations by Alembic, __main__ by itself;
        # the conformance suite needs pytest, which is its author's
        leave = ("workers.app", "workers.migrations.", "tasks.conformance.")
        if not module.name.startswith(leave) and not module.name.endswith("__main__"):
            importlib.import_module(module.name)
