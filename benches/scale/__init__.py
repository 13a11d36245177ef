"""`scripts/bench scale`: throughput over cores, of this server, of another build of it and of tritonserver, in turns.

rows.py      what is measured
cores.py     which cores are whose, and whether the kernel keeps to it
prebuilt.py  what has to be built first: models, Triton's backends, the bare echo and its answers
servers.py   starting each of the servers on its cores
load.py      several processes of a load generator at once, and what they and the server saw
run.py       the order of it all, within a budget of time
busy.py      the same requests beside a busy loop on each core of the server
report.py    the table and the JSON
chart.py     the picture
pack.py      all of it in a folder, for a host that has nothing but Python

echo*.c      the bare echo, below which no server can be and above which no load generator gets
"""
