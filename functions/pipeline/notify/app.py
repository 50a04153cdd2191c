"""Delivers notifications: on the stack's event bus, or with a signed request to a URL."""

from video_jobs.aws.consumers import consumer
from video_jobs.notifications import deliver

handler = consumer(deliver.take, queue=("BUS_NOTIFICATIONS_QUEUE_URL", "URL_NOTIFICATIONS_QUEUE_URL"))
