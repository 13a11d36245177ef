"""A function in a loop on some threads: how often a second, and how much CPU time each."""

import threading
import time


def loop(run, count, seconds, begin=lambda: None):
    """Prints calls a second, and milliseconds of CPU time of the process for a call."""
    done, ready = [], threading.Barrier(count + 1)
    stop = threading.Event()

    def work():
        begin()
        for _ in range(10):
            run()
        ready.wait()
        own = 0
        while not stop.is_set():
            run()
            own += 1
        done.append(own)

    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    ready.wait()
    begun, cpu = time.perf_counter(), time.process_time()
    time.sleep(seconds)
    stop.set()
    for thread in threads:
        thread.join()
    calls = sum(done)
    print(calls / (time.perf_counter() - begun), 1e3 * (time.process_time() - cpu) / calls)
