from datetime import date

import pytest

from services.orders.domain.plain_french import say, say_rule, say_window
from services.orders.domain.recurrence import HolidayPolicy
from services.orders.domain.rule import read
from tests.orders.builders import a_recurrence, local_window


def test_the_sentence_says_days_window_and_holidays() -> None:
    assert say(a_recurrence(), local_window()) == "tous les mardis et vendredis, 8 h–10 h, sauf jours fériés"
    moved = a_recurrence(holidays=HolidayPolicy.NEXT)
    assert say(moved, local_window("08:30", "10:00")).endswith(
        "8 h 30–10 h, reporté au jour ouvré suivant en cas de jour férié"
    )


def test_a_window_over_midnight_says_so() -> None:
    assert say_window(local_window("22:00", "02:00")) == "22 h–2 h (le lendemain)"


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ("FREQ=DAILY", "tous les jours"),
        ("FREQ=DAILY;INTERVAL=3;COUNT=4", "tous les 3 jours, 4 fois"),
        ("FREQ=WEEKLY", "tous les mardis"),
        ("FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR", "du lundi au vendredi"),
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=FR,TU", "une semaine sur deux, le mardi et le vendredi"),
        ("FREQ=WEEKLY;INTERVAL=3;BYDAY=MO;BYMONTH=8,4", "toutes les 3 semaines, le lundi en avril et août"),
        ("FREQ=MONTHLY;BYMONTHDAY=1,15,-1", "le 1er, le 15 et le dernier jour de chaque mois"),
        ("FREQ=MONTHLY;BYMONTHDAY=-2", "le 2e jour avant la fin de chaque mois"),
        ("FREQ=MONTHLY;INTERVAL=2;BYDAY=1MO,-1FR", "le premier lundi et le dernier vendredi tous les 2 mois"),
        ("FREQ=MONTHLY;BYDAY=-2FR", "le avant-dernier vendredi de chaque mois"),
        ("FREQ=MONTHLY;BYDAY=SA,SU;BYSETPOS=1", "le premier jour parmi samedi et dimanche de chaque mois"),
        ("FREQ=MONTHLY;BYDAY=TU", "tous les mardis de chaque mois"),
        ("FREQ=YEARLY;UNTIL=20300101", "le 24 novembre, chaque année, jusqu'au 1er janvier 2030"),
        ("FREQ=YEARLY;BYMONTH=4;BYDAY=1MO", "le premier lundi, en avril, chaque année"),
    ],
)
def test_rules_in_plain_french(rule: str, sentence: str) -> None:
    assert say_rule(read(rule), date(2026, 11, 24)) == sentence
