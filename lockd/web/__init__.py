"""The console: pages for a browser, and an interface for programs, in a process of its own.

It has no key of the store, no camera and no pin: all that it shows and does it asks the service
for, in the name of whoever is logged in, and the service looks who may what.

    server.py     uvicorn, TLS, the settings that the service hands out
    application.py  puts it together: pages, interface, guards
    link.py       the control socket's console end
    accounts.py   users and tokens, in one file; guesses.py slows those who guess; totp.py
    sessions.py   who is logged in; guards.py what is looked at before any request is served
    hub.py        one watcher of the service for all browsers that look; streams.py hands it out
    pages.py, people_pages.py   what a browser shows; texts.py in whose language
    interface.py  /api/v1; models.py what goes in and out; metrics.py for Prometheus;
                  checks.py what an administrator has looked at
    templates/, static/, locale/
"""
