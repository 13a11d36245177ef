"""`scripts/bench compare`: our server against the real tritonserver, on the same models, in turns.

rows.py        what is measured, and what is aimed at
repository.py  the models, written once, served by both
servers.py     starting and stopping either, and what it has used
measure.py     one run of perf_analyzer against one of them
json_load.py   the clients of the JSON row
limit.py       the engine alone, in a process that does nothing else
report.py      the table and the JSON
run.py         the order of it all
"""
