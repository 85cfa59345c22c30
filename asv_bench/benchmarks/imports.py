"""What `import skad` costs, in a process of its own."""

import subprocess
import sys

STATEMENT = """
import time
start = time.process_time()
import {module}
print(time.process_time() - start)
"""


class Imports:
    """CPU seconds of a cold import; skad's should be close to scikit-learn's."""

    params = ["sklearn", "skad", "skad.metrics", "skad._base"]
    param_names = ["module"]
    unit = "CPU seconds"

    def track_cpu_seconds(self, module):
        code = STATEMENT.format(module=module)
        runs = [
            float(subprocess.check_output([sys.executable, "-c", code]))
            for _ in range(5)
        ]
        return min(runs)
