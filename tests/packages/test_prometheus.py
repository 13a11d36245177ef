"""A real Prometheus scrapes a real server, and is asked every query of the dashboard, the alerts and the autoscaling."""

import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest
from clean import ROOT, faces
from conftest import need
from server_process import ServerProcess, kept_ports

sys.path.append(os.path.join(ROOT, ".cache", "python", "package-tests"))

import yaml  # noqa: E402

DEPLOY = os.path.join(ROOT, "deploy")
LABELS = {"namespace": "prod", "pod": "hippocamp-0"}
# What the dashboard shows of a server without GPUs, a cache, lazy loading and faults.
EMPTY_HERE = re.compile(r"nv_gpu_|nv_cache_|nv_plan_|nv_model_eviction|nv_model_load|nv_model_memory|_refused|request_failure")


class Prometheus:
    def __init__(self, folder, target):
        (self.port,) = kept_ports(1)
        config = {
            "global": {"scrape_interval": "500ms", "evaluation_interval": "500ms"},
            "rule_files": [os.path.join(DEPLOY, "prometheus", "rules.yaml")],
            "scrape_configs": [{"job_name": "hippocamp", "static_configs": [{"targets": [target], "labels": LABELS}]}],
        }
        (folder / "prometheus.yml").write_text(json.dumps(config), encoding="utf-8")
        command = ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
        self.log = open(folder / "log", "wb")
        command += [f"--web.listen-address=127.0.0.1:{self.port}"]
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)

    def ask(self, path, **query):
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=10) as reply:
            return json.load(reply)["data"]

    def query(self, text):
        """The samples of an instant query: (labels, value)."""
        return [(one["metric"], float(one["value"][1])) for one in self.ask("query", query=text)["result"]]

    def wait(self, text, seconds=30):
        deadline = time.monotonic() + seconds
        while True:
            try:
                if found := self.query(text):
                    return found
            except OSError as error:
                # A query that is wrong stays wrong.
                if isinstance(error, urllib.error.HTTPError) and error.code < 500:
                    raise
                assert self.process.poll() is None, "Prometheus has ended"
            assert time.monotonic() < deadline, f"no answer to {text}"
            time.sleep(0.1)

    def stop(self):
        self.process.terminate()
        self.process.wait(20)
        self.log.close()


@pytest.fixture(scope="module")
def prometheus(models, tmp_path_factory):
    """A Prometheus that has seen some seconds of traffic."""
    need("prometheus", "promtool")
    with ServerProcess(models) as server:
        watcher, stop = Prometheus(tmp_path_factory.mktemp("prometheus"), server.metrics), threading.Event()
        faults = []

        def ask():
            while not stop.is_set():
                try:
                    faces(server)
                except urllib.error.HTTPError as fault:
                    faults.append(fault)
                except OSError:
                    # An answer that is late on a busy machine does not end the traffic.
                    pass

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            # Rates need two samples with traffic between them.
            watcher.wait('rate(nv_inference_request_histogram_us_count{model="detection"}[1m]) > 0')
            yield watcher
        finally:
            stop.set()
            thread.join()
            watcher.stop()
        assert not faults


def dashboard():
    with open(os.path.join(DEPLOY, "grafana", "hippocamp.json"), encoding="utf-8") as f:
        return json.load(f)


def queries():
    return [(panel["title"], target["expr"]) for panel in dashboard()["panels"] for target in panel.get("targets", [])]


def filled(query):
    """As Grafana would send it."""
    for name, value in {"$job": ".*", "$instance": ".*", "$model": ".*", "$__rate_interval": "1m"}.items():
        query = query.replace(name, value)
    return query


def test_the_dashboard_is_what_its_table_says():
    subprocess.run([os.path.join(DEPLOY, "grafana", "make"), "--check"], check=True)
    assert len(queries()) > 30


def test_every_query_of_the_dashboard_has_an_answer(prometheus):
    silent = [query for _, query in queries() if not prometheus.query(filled(query))]
    assert not [query for query in silent if not EMPTY_HERE.search(query)]
    assert len(silent) < len(queries()) / 2


def test_the_variables_of_the_dashboard_find_jobs_servers_and_models(prometheus):
    for variable in dashboard()["templating"]["list"][1:]:
        selector, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"]).groups()
        values = prometheus.ask(f"label/{label}/values", **{"match[]": filled(selector)})
        assert values, variable["name"]
    assert "detection" in values


def test_numbers_mean_what_the_panels_say(prometheus):
    (_, p50), *_ = prometheus.query('histogram_quantile(0.5, sum by (le) (rate(nv_inference_request_histogram_us_bucket{model="detection"}[1m]))) / 1e6')
    (_, mean), *_ = prometheus.query(
        'sum(rate(nv_inference_request_duration_us{model="detection"}[1m])) / sum(rate(nv_inference_request_success{model="detection"}[1m])) / 1e6'
    )
    # Both are seconds, of buckets and of sums. However slow the machine is, no more than half of all can take twice the mean, so that the
    # median is at most the end of the bucket of that, and the mean is at most the end of the last bucket that has a request.
    name = 'nv_inference_request_histogram_us_bucket{model="detection"}'
    ends = sorted(float(labels["le"]) / 1e6 for labels, _ in prometheus.query(name) if labels["le"] != "+Inf")
    assert p50 <= next((end for end in ends if end >= 2 * mean), float("inf"))
    (_, last), *_ = prometheus.query('histogram_quantile(1, sum by (le) (rate(nv_inference_request_histogram_us_bucket{model="detection"}[1m]))) / 1e6')
    # Of requests beyond the last bucket nothing is known but that.
    assert mean <= last or last == ends[-1]


def test_rules_are_what_promtool_wants():
    folder = os.path.join(DEPLOY, "prometheus")
    subprocess.run(["promtool", "check", "rules", "rules.yaml"], cwd=folder, check=True, capture_output=True)
    got = subprocess.run(["promtool", "test", "rules", "rules-test.yaml"], cwd=folder, check=False, capture_output=True, text=True)
    assert got.returncode == 0, got.stdout + got.stderr


def test_rules_are_evaluated_and_nothing_alarms(prometheus):
    prometheus.wait("hippocamp:requests:rate1m")
    groups = prometheus.ask("rules")["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len(rules) == 12
    assert {rule["health"] for rule in rules} == {"ok"}
    assert not [rule["name"] for rule in rules if rule.get("state") == "firing"]
    for recorded in ("hippocamp:requests:rate1m", "hippocamp:request_p99_seconds", "hippocamp:queue_seconds"):
        assert prometheus.wait(recorded), recorded


def test_the_metrics_of_autoscaling(prometheus):
    with open(os.path.join(DEPLOY, "prometheus", "adapter.yaml"), encoding="utf-8") as f:
        rules = yaml.safe_load(f)["rules"]["custom"]
    assert {rule["name"]["as"] for rule in rules} == {"hippocamp_queue_seconds", "hippocamp_pending_requests"}
    for rule in rules:
        assert prometheus.query(rule["seriesQuery"])
        # What the adapter makes of the template.
        query = rule["metricsQuery"].replace("<<.GroupBy>>", "pod").replace("<<.LabelMatchers>>", 'namespace="prod",pod=~"hippocamp-0"')
        ((labels, value),) = prometheus.query(query)
        assert labels == {"pod": "hippocamp-0"} and 0 <= value < 100


def test_the_page_of_metrics_is_parsed_by_promtool(prometheus):
    """Its lint wants other names than Triton's, which is status 3; 1 is a page that cannot be read."""
    target = prometheus.ask("targets")["activeTargets"][0]
    assert target["health"] == "up" and target["labels"]["pod"] == "hippocamp-0"
    with urllib.request.urlopen(target["scrapeUrl"], timeout=10) as reply:
        page = reply.read()
    got = subprocess.run(["promtool", "check", "metrics"], input=page, check=False, capture_output=True, timeout=60)
    assert got.returncode in (0, 3), got.stderr


def test_every_metric_of_the_page_is_documented(prometheus):
    target = prometheus.ask("targets")["activeTargets"][0]
    with urllib.request.urlopen(target["scrapeUrl"], timeout=10) as reply:
        families = re.findall(r"^# TYPE (\w+) ", reply.read().decode(), re.MULTILINE)
    text = ""
    for page in ("metrics.md", "limits.md"):
        with open(os.path.join(ROOT, "docs", page), encoding="utf-8") as f:
            text += f.read()
    assert len(families) > 20
    assert not [family for family in families if f"`{family}" not in text]
