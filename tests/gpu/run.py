"""What every check of the acceptance needs: the binary, the files, and servers over folders of models."""

import os
import sys

from tests.server_process import ServerProcess

from .models import Repository


class Run:
    def __init__(self, options, folder, files):
        self.binary, self.files, self.folder = options.server, files, folder
        self.on_gpu = options.kind != "KIND_CPU"
        # The first GPU alone, as figures are of one.
        self.kind = f"{options.kind} gpus: [ 0 ]" if self.on_gpu else options.kind
        self.library, self.packages = options.onnxruntime_library, options.python_packages
        self.seconds, self.seconds_for_cycles = options.seconds, options.seconds_for_cycles
        self.device_check, self.with_loops = options.device_check, not options.without_loops
        self.tensorrt_layout, self.tensorrt_check = options.tensorrt_layout, options.tensorrt_check
        self.plan_flags, self.flags = options.plan_flag, options.server_flag
        self.variables = dict(pair.split("=", 1) for pair in options.variable)
        self.logs = options.logs

    def repository(self, name):
        return Repository(os.path.join(self.folder, name), self.files)

    def server(self, repository, *flags):
        folder = getattr(repository, "folder", repository)
        return ServerProcess(
            folder,
            flags=[*flags, *self.flags],
            library=self.library,
            timeout=300,
            variables=self.variables,
            binary=self.binary,
        )

    def show_log(self, server):
        """The end of the server's log, where something went wrong."""
        if self.logs:
            print("\n".join(server.log().splitlines()[-self.logs :]), file=sys.stderr, flush=True)
