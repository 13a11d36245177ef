"""A handler of TorchServe that returns what it gets."""


def handle(data, context):
    return [row.get("data") or row.get("body") for row in data] if data else []
