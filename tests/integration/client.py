"""A caller that knows Celery and nothing of Dialstock: python client.py BROKER_URL <messages.json"""

import json
import sys

from celery import Celery

app = Celery(broker=sys.argv[1])
for message in json.load(sys.stdin):
    print(app.send_task(**message, queue="purchases", ignore_result=True).id)
assert not {"schemas", "tasks", "workers"} & set(sys.modules)
