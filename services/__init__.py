"""The map of the house: three services side by side, on one small kit and a shelf of published events.

orders    departments' sites and requests; dated orders come out of them
dispatch  couriers, plans, rounds, proofs; what became of each delivery
billing   contracts, ceilings, holds, charges, statements
kit       what all three need and no courier would recognise: the event lane, the HTTP edge, the database
contracts generated from proto/, never edited
plan_file `tournee plan`: the planning engine on a file, without the house
demo      a city's month played through the HTTP interfaces only

Four doors (api, pages, handlers, jobs), one story (use_cases), one store (repository, queries, messages) and one law
(domain). Run together or apart, it is the same function with a longer or shorter list: see assembly.py.
"""
