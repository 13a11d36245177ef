"""Vision models for the tests: pipelines that give the pixels as they are, written as models of a repository."""

PIXELS = """
[[step]]
op = "tensor"
input = "done"
output = "pixels"
data_type = "{sample}"
layout = "NHWC"
"""


def pixels_of(*steps, decode="", sample="UINT8"):
    """A pipeline that decodes in BGR as OpenCV does, takes these steps, and gives the pixels as they are."""
    parts = [f'op = "decode"\ninput = "raw"\noutput = "v0"\n{decode}']
    if "color" not in decode:
        parts[0] += '\ncolor = "bgr"'
    for number, step in enumerate(steps):
        parts.append(f'input = "v{number}"\noutput = "v{number + 1}"\n{step}')
    text = "\n".join(f"[[step]]\n{part}\n" for part in parts) + PIXELS.format(sample=sample)
    return text.replace(f'"v{len(steps)}"', '"done"')


def resize(width, height, method, extra=""):
    return f'op = "resize"\nwidth = {width}\nheight = {height}\nmethod = "{method}"\n{extra}'


def write_model(repository, name, pipeline, config):
    folder = repository / name / "1"
    folder.mkdir(parents=True)
    (folder / "pipeline.toml").write_text(pipeline)
    (repository / name / "config.pbtxt").write_text(f'backend: "vision"\n{config}')
