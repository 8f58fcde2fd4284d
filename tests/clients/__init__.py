"""Promises shown with released client libraries: go-nsq, pynsq and nsqjs."""
