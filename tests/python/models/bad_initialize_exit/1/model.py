import os


class TritonPythonModel:
    def initialize(self, args):
        os._exit(4)

    def execute(self, requests):
        return []
