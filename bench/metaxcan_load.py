"""Loads a model and its covariance as SPrediXcan.py does; run by MetaXcan's interpreter.

In: folder of MetaXcan, model database, covariance. Out: JSON on stdout: processor seconds of loading, and of
then turning the weights into the form that MetaXcan scores with (the models' share of building its context).
"""

from __future__ import annotations

import importlib
import json
import sys
import time


def main(software: str, database: str, covariance: str) -> None:
    """Call MetaXcan's own functions in the order of its ``build_context``."""
    sys.path.insert(0, software)
    prediction = importlib.import_module("metax.PredictionModel")
    matrices = importlib.import_module("metax.MatrixManager")
    utilities = importlib.import_module("metax.metaxcan.Utilities")
    begin = time.process_time()
    model = prediction.load_model(database)
    manager = matrices.load_matrix_manager(covariance)
    loaded = time.process_time()
    utilities._prepare_weight_data(model, None)
    ready = time.process_time()
    found = {"load": loaded - begin, "context": ready - loaded, "genes": len(manager.model_labels())}
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
