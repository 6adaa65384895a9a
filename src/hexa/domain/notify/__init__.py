"""Notifications: which news and conditions people are told of, in which words, when, and how often.

It sends nothing: `app.notifier` subscribes and hands out what is decided here, `adapters.notify` sends it.
"""
