"""Sends notifications: webhooks over HTTP and e-mail over SMTP. Implements `ports.notify`."""
