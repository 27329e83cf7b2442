"""What stands in the report's sections, as plain records for the template."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pandas as pd

from hyperscan.errors import count
from hyperscan.report.read import RunFolder, mapping, records
from hyperscan.report.tables import (
    WORDS,
    Table,
    cell,
    heads,
    label,
    measure,
    p_value,
    quality_words,
    rows_of,
    short,
    table_of,
)
from hyperscan.words import GUARDS

#: A dyad gets a page of its own only under a name that is one harmless folder name.
_SAFE = re.compile(r"[A-Za-z0-9]{1,64}")


def dyad_links(run: RunFolder) -> dict[str, str]:
    """Dyads with a page of their own, and its address."""
    return {dyad: f"dyad-{dyad}/report.html" for dyad in run.dyads if _SAFE.fullmatch(dyad)}


def guard_rows(run: RunFolder) -> list[dict[str, Any]]:
    """Guards of ``growth.json`` in words."""
    states = {
        True: ("passed", "Passed", "✓"),
        False: ("failed", "Failed", "✗"),
        None: ("open", "Not assessable", "–"),
    }
    rows = []
    for guard in records(run.growth.get("guards")):
        passed = guard.get("passed")
        state, word, sign = states[passed if isinstance(passed, bool) else None]
        name = label(guard.get("name", ""))
        words = GUARDS.get(name)
        rows.append(
            {
                "name": name.replace("_", " ") or "unnamed",
                "question": words.question if words else "",
                "state": state,
                "word": word,
                "sign": sign,
                "figure": table_of([guard], {"figure": "Figure"}, "").rows[0][0],
                "detail": label(guard.get("detail") or guard.get("sentence") or ""),
            }
        )
    return rows


_SLOPES = (
    ("primary", "Excess, mixed model"),
    ("two_stage", "Excess, two-stage (slope per dyad, then t)"),
    ("sign_flip", "Excess, sign-flip of the dyads' slopes"),
    ("therapist_level", "Excess, mean slope per therapist"),
    ("real_slope", "Real pairs"),
    ("pseudo_slope", "Pseudo pairs (the chance level itself)"),
    ("equivalence", "Equivalence test"),
    ("bayes_factor", "Likelihood-ratio test; Bayes factor (BIC, rough)"),
    ("one_dyad", "This dyad alone (Theil-Sen)"),
)


def slope_table(run: RunFolder) -> Table | None:
    """List every slope that the verdict rests on."""
    rows = []
    for key, words in _SLOPES:
        part = mapping(run.growth.get(key))
        if any(part.get(number) is not None for number in ("slope", "p", "bound", "text")):
            n = part.get("n_dyads", part.get("n_therapists", part.get("n")))
            rows.append({**part, "what": words, "n": n, "note": _slope_note(part)})
    columns = {
        "what": "Estimate",
        "slope": "Slope",
        "se": "SE",
        "ci_low": "CI low",
        "ci_high": "CI high",
        "t": "t",
        "df": "df",
        "p": "p",
        "n": "n",
        "note": "Note",
    }
    unit = run.config.time.removesuffix("s")
    caption = f"Slopes of the primary outcome in Fisher z per {unit}, with 95 % confidence intervals"
    return table_of(rows, columns, caption) if rows else None


#: What else a test may say, in words; anything that a number needs is in ``growth.json``.
_NOTES = {
    "df_satterthwaite": "Satterthwaite df {}",
    "p_satterthwaite": "p with those df {}",
    "n_sessions": "{} sessions",
    "smallest_p": "smallest p that can be reached {}",
    "p_min": "smallest p that can be reached {}",
    "n_flips": "{} flips",
    "bound": "bound ± {}",
    "holds": "holds: {}",
    "bf01": "BF01 {}",
    "theil_sen": "Theil-Sen slope {}",
    "needed": "needed for the verdict: {}",
    "detail": "{}",
    "text": "{}",
}


def _slope_note(part: Mapping[str, Any]) -> str:
    said = [words.format(cell(part[key], key).text) for key, words in _NOTES.items() if part.get(key) is not None]
    if part.get("singular") is True:
        said.append("singular fit, kept")
    return "; ".join(said)


def trend_table(run: RunFolder) -> Table | None:
    """List the trends of the recordings that stand beside the guards."""
    rows = records(mapping(run.growth.get("figures")).get("trends"))
    words = {
        "topic": "About",
        "name": "Measure",
        "person": "Person",
        "slope": f"Slope per {run.config.time.removesuffix('s')}",
        "t": "t",
        "p": "p",
        "n": "Dyads (n)",
    }
    named = [{**row, "name": measure(str(row.get("name", "")))} for row in rows]
    caption = "Trends of the recordings over the sessions; they inform and decide nothing"
    return table_of(named, words, caption) if rows else None


def remarks(run: RunFolder) -> list[str]:
    """Say what leaving one dyad out changes, and who is missing."""
    figures, said = mapping(run.growth.get("figures")), []
    one_out = mapping(figures.get("leave_one_out"))
    if one_out.get("same_sign") is not None:
        kept = "keeps its sign" if one_out["same_sign"] else "changes its sign for at least one"
        said.append(
            f"Leaving out one dyad at a time, the mean slope {kept}: {short(one_out.get('slope_min'))} to"
            f" {short(one_out.get('slope_max'))}, largest p {p_value(one_out.get('p_max'))}."
            f" It depends most on {label(one_out.get('dyad'))}."
        )
    missing = mapping(figures.get("missing"))
    if missing.get("n_planned") is not None:
        fewest, most = short(missing.get("fewest")), short(missing.get("most"))
        each = fewest if fewest == most else f"{fewest} to {most}"
        stopped = ""
        if missing.get("n_stopped_early"):
            stopped = (
                f"; dyads that stopped before the others: {short(missing['n_stopped_early'])}"
                f" (their last value minus the mean of all dyads then: {short(missing.get('last_value_before_stop'))})"
            )
        observed = f"{short(missing.get('n_observed'))} of {short(missing['n_planned'])} sessions were observed"
        said.append(f"{observed}, {each} per dyad{stopped}.")
    return said


def outcome_table(run: RunFolder) -> Table | None:
    """List relations to the study table's own columns (symptoms, alliance ...)."""
    rows = records(run.growth.get("outcomes"))
    keys = list(dict.fromkeys(key for row in rows for key in row))
    caption = "Relations to the study table's own columns, p corrected for how many were tried"
    return table_of(rows, heads(keys, WORDS), caption) if rows else None


def skipped_table(run: RunFolder) -> Table | None:
    """List what was left out and why, as the plan says."""
    rows = records(run.plan.get("skipped"))
    keys = ["dyad", "session", "modality", "task", "run", "reason"]
    caption = f"{count(len(rows), 'dyad-session that was', 'dyad-sessions that were')} not analysed"
    return table_of(rows, heads(keys, WORDS), caption, links=dyad_links(run)) if rows else None


def plan_table(run: RunFolder) -> Table | None:
    """List what was decided for the whole study."""
    rows = records(run.plan.get("groups"))
    words = {
        "modality": "Modality",
        "task": "Task",
        "n_windows": "Windows per session (K)",
        "seconds": "Data per session (s)",
        "limited_by": "Limited by",
        "control_channels": "Control channels",
        "control_note": "About them",
        "n_sessions": "Dyad-sessions",
    }
    return table_of(rows, words, "Decisions that hold for every session of a modality and task") if rows else None


def clock_table(run: RunFolder, dyad: str = "") -> Table | None:
    """List how each pair of recordings came on one clock, one row per dyad-session."""
    keys = ["clock_source", "clock_offset_s", "clock_ppm", "clock_residual_ms"]
    if not any(key in run.quality for key in keys):
        return None
    where = [key for key in ("dyad", "session", "modality", "task", "run") if key in run.quality]
    table = run.quality.drop_duplicates(where) if where else run.quality
    if dyad and "dyad" in table:
        table, where = table[table["dyad"] == dyad], where[1:]
    words, links = heads([*where, *keys], WORDS), {} if dyad else dyad_links(run)
    return table_of(rows_of(table), words, "Clock of each dyad-session", links=links)


def quality_table(run: RunFolder, dyad: str = "") -> Table | None:
    """List the quality of each recording, one row per dyad-session and person."""
    table = run.quality
    table = table[table["dyad"] == dyad] if dyad and "dyad" in table else table
    if table.empty:
        return None
    left_out = ("clock_", "peak_width_", *(("dyad",) if dyad else ()))
    keys = [key for key in table.columns if not key.startswith(left_out)]
    words, links = heads(keys, quality_words(keys)), {} if dyad else dyad_links(run)
    return table_of(rows_of(table), words, "Quality of each recording", links=links)


def exploratory_table(run: RunFolder) -> Table | None:
    """All metrics, bands and ROI pairs that were tried, as ``growth.json`` lists them."""
    rows = records(run.growth.get("exploratory"))
    if not rows:
        return None
    keys = list(dict.fromkeys(key for row in rows for key in row))
    front = [key for key in ("metric", "signal", "band", "roi", "roi_therapist", "roi_client") if key in keys]
    keys = [*front, *(key for key in keys if key not in front)]
    caption = f"{len(rows)} exploratory slopes; none of them decides the verdict"
    return table_of(rows, heads(keys, WORDS), caption)


def nulls_table(run: RunFolder) -> Table | None:
    """How strong the chance level of the primary outcome is, by session."""
    rows = run.primary
    if rows.empty or "session" not in rows:
        return None
    made = []
    for session, part in rows.groupby("session", sort=True):
        row: dict[str, Any] = {"session": session, "dyads": part["dyad"].nunique()}
        for key in ("z", "pseudo_mean_z", "pseudo_sd_z", "excess_z"):
            row[key] = float(part[key].mean()) if key in part else None
        row["n_pseudo"] = float(part["n_pseudo"].min()) if "n_pseudo" in part else None
        row["lag_p"] = int((part["lag_p"] < 0.05).sum()) if "lag_p" in part else None
        made.append(row)
    words = heads(["session", "dyads", "z", "pseudo_mean_z", "pseudo_sd_z", "excess_z"], WORDS)
    words |= {
        "dyads": "Dyads (n)",
        "n_pseudo": "Pseudo pairs (fewest)",
        "lag_n": "Sessions with lag-null p < .05",
    }
    for row in made:
        row["lag_n"] = row.pop("lag_p")
    return table_of(made, words, f"Real and chance level of {run.outcome}: means over dyads")


_SESSION_KEYS = [
    "session",
    "days",
    "task",
    "run",
    "estimate",
    "z",
    "pseudo_mean_z",
    "pseudo_sd_z",
    "n_pseudo",
    "excess_z",
    "lag_estimate",
    "lag_p",
    "n_windows",
    "seconds",
    "flags",
]


def session_table(run: RunFolder, dyad: str) -> Table | None:
    """Primary outcome of one dyad, one row per session."""
    rows = run.primary
    rows = rows[rows["dyad"] == dyad] if "dyad" in rows else rows
    keys = [key for key in _SESSION_KEYS if key in rows]
    if rows.empty:
        return None
    return table_of(rows_of(rows[keys]), heads(keys, WORDS), f"{run.outcome}: every session of this dyad")


def people(run: RunFolder, dyad: str) -> list[tuple[str, str]]:
    """Who this dyad is, as the study table labels them."""
    rows = run.synchrony[run.synchrony["dyad"] == dyad] if "dyad" in run.synchrony else run.synchrony
    roles = [(role.capitalize(), role) for role in ("therapist", "client") if role in rows]
    return [(words, ", ".join(label(name) for name in rows[role].unique())) for words, role in roles if len(rows)]


def all_outcomes_table(run: RunFolder, dyad: str) -> Table | None:
    """Mean excess of one dyad for every metric, band and ROI pair, by session."""
    rows = run.synchrony
    rows = rows[rows["dyad"] == dyad] if "dyad" in rows else rows
    keys = [key for key in ("metric", "signal", "band", "roi_therapist", "roi_client", "task") if key in rows]
    if rows.empty or "excess_z" not in rows or "metric" not in keys:
        return None
    wide = rows.pivot_table(index=keys, columns="session", values="excess_z", aggfunc="mean", sort=False)
    wide.columns = pd.Index([f"s{short(session)}" for session in wide.columns])
    words = heads(keys, WORDS) | {key: f"Session {key[1:]}" for key in wide.columns}
    return table_of(rows_of(wide.reset_index()), words, "Excess over chance (Fisher z) of every outcome")


def key_facts(run: RunFolder) -> list[tuple[str, str]]:
    """Sizes that belong beside the verdict."""
    primary, facts = mapping(run.growth.get("primary")), []
    slope, low, high = (primary.get(key) for key in ("slope", "ci_low", "ci_high"))
    if slope is not None:
        unit = run.config.time.removesuffix("s")
        facts.append(("Slope", f"{short(slope)} Fisher z per {unit} (95 % CI {short(low)} to {short(high)})"))
    guards = [row["state"] for row in guard_rows(run)]
    if guards:
        told = {"passed": "passed", "failed": "failed", "open": "not assessable"}
        counts = [f"{guards.count(state)} {word}" for state, word in told.items() if state in guards]
        facts.append(("Guards", ", ".join(counts)))
    facts.append(("Primary outcome", str(run.outcome)))
    for key, words in (("n_dyads", "Dyads"), ("n_sessions", "Dyad-sessions")):
        if primary.get(key) is not None:
            facts.append((words, short(primary[key])))
    facts.append(("Not analysed", count(len(records(run.plan.get("skipped"))), "dyad-session")))
    return facts


def versions(run: RunFolder) -> list[tuple[str, str]]:
    """Names and versions of what made the results, as the run recorded them."""
    found: dict[str, str] = {}
    generated = run.description.get("GeneratedBy")
    for item in records(generated):
        found[label(item.get("Name", ""))] = label(item.get("Version", ""))
    for name, version in mapping(run.info.get("versions")).items():
        found[label(name)] = label(version)
    return sorted(found.items())


def command(run: RunFolder) -> str:
    """Return the command of the run with absolute paths shortened; if none is given, the one that repeats it."""
    given: Mapping[str, Any] = run.info
    value = given.get("command", "hyperscan run STUDY -o OUT --config config.toml")
    return label(" ".join(map(str, value)) if isinstance(value, list) else value)
