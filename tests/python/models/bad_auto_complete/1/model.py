class TritonPythonModel:
    @staticmethod
    def auto_complete_config(config):
        raise RuntimeError("incomplete")

    def execute(self, requests):
        return []
