"""A caller that knows Celery and nothing of Dialstock: python client.py

It reads lines, each of a broker's URL and messages to send there, and answers each with a line of their ids.
"""

import json
import sys

from celery import Celery

for line in sys.stdin:
    broker, messages = json.loads(line)
    with Celery(broker=broker, set_as_current=False) as app:
        sent = [app.send_task(**message, queue="purchases", ignore_result=True).id for message in messages]
    assert not {"schemas", "tasks", "workers"} & set(sys.modules)
    print(json.dumps(sent), flush=True)
