"""The broker as the services see it: topics, quorum queues with a delivery limit, dead letters."""

import json
import time
import uuid

import pika

from tests.emulation.messages import EVENTS, TOPICS, check_body, check_properties

EXCHANGE, DEAD_LETTERS = "monaideploy", "monaideploy-dead-letter"
DELIVERY_LIMIT = 3


class Queues:
    """A connection with all queues declared; every message that goes through it is checked and remembered."""

    def __init__(self, url):
        self.connection = pika.BlockingConnection(pika.URLParameters(url))
        self.channel = self.connection.channel()
        self.seen = []
        self.channel.exchange_declare(EXCHANGE, "topic", durable=True)
        self.channel.exchange_declare(DEAD_LETTERS, "topic", durable=True)
        for topic in TOPICS:
            self._declare(topic)

    def _declare(self, topic):
        arguments = {
            "x-queue-type": "quorum",
            "x-delivery-limit": DELIVERY_LIMIT,
            "x-dead-letter-exchange": DEAD_LETTERS,
        }
        self.channel.queue_declare(topic, durable=True, arguments=arguments)
        self.channel.queue_bind(topic, EXCHANGE, topic)
        self.channel.queue_declare(dead(topic), durable=True)
        self.channel.queue_bind(dead(topic), DEAD_LETTERS, topic)

    def publish(self, topic, body, app_id, correlation_id):
        """Send a message."""
        check_body(topic, body)
        properties = pika.BasicProperties(
            content_type="application/json",
            message_id=str(uuid.uuid4()),
            app_id=app_id,
            correlation_id=correlation_id,
            type=EVENTS[topic],
            timestamp=int(time.time()),
            delivery_mode=2,
        )
        self.channel.basic_publish(EXCHANGE, topic, json.dumps(body).encode(), properties)

    def handle(self, topic, handler):
        """Give one message to a handler; it is taken back when the handler fails. Return whether there was one."""
        method, properties, content = self.channel.basic_get(topic)
        if method is None:
            return False
        try:
            check_properties(topic, properties)
            body = json.loads(content)
            check_body(topic, body)
            self.seen.append((topic, body))
            handler(body)
        except Exception:
            self.channel.basic_nack(method.delivery_tag, requeue=True)
            raise
        self.channel.basic_ack(method.delivery_tag)
        return True

    def bodies(self, topic):
        """Bodies of the messages that were handled."""
        return [body for one, body in self.seen if one == topic]

    def waiting(self, queue):
        """Number of messages in a queue."""
        return self.channel.queue_declare(queue, passive=True).method.message_count

    def purge(self):
        """Forget what an earlier test has left."""
        for topic in TOPICS:
            self.channel.queue_purge(topic)
            self.channel.queue_purge(dead(topic))

    def close(self):
        self.connection.close()


def dead(topic):
    """Name of the queue of dead letters."""
    return f"{topic}-dead-letter"
