/** The operator's first page: three reports as tables, the same figures as the API and the CSV. */

import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { call, Problem } from "../api";
import { KeyForm } from "../components/key";
import { type Row, Rows } from "../components/rows";
import { Shell } from "../components/shell";
import { type Key, t } from "../i18n";
import { wording } from "../purchase";

const REPORTS = { revenue: "operator.revenue", quota: "operator.quota", routing: "operator.routing" } as const;
type Report = keyof typeof REPORTS;

const access = signal<"asking" | "closed" | "open">("asking");
const report = signal<Report>("revenue");
const rows = signal<readonly Row[]>([]);
const fault = signal("");
const from = signal(day(-30));
const to = signal(day(1));

function day(offset: number): string {
  const moment = new Date();
  moment.setDate(moment.getDate() + offset);
  const parts = [moment.getFullYear(), moment.getMonth() + 1, moment.getDate()];
  return parts.map((part) => String(part).padStart(2, "0")).join("-");
}

function address(format: "json" | "csv"): string {
  const tz = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const query = new URLSearchParams({ from: from.value, to: to.value, tz, format });
  return `/operator/v1/reports/${report.value}?${query}`;
}

async function load(): Promise<void> {
  fault.value = "";
  try {
    const answer = await call<{ data: Row[] }>("GET", address("json"));
    rows.value = answer.data;
    access.value = "open";
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (error.status === 401 || error.status === 403) access.value = "closed";
    else {
      access.value = "open";
      rows.value = [];
      fault.value = wording(error);
    }
  }
}

export function OperatorPage() {
  useEffect(() => void load(), []);
  return (
    <Shell title={t("operator")}>
      <p class="lead">{t("operator.about")}</p>
      {access.value === "asking" && <p class="quiet">{t("loading")}</p>}
      {access.value === "closed" && <div class="panel"><KeyForm label={t("operator.key")} entered={load} /></div>}
      {access.value === "open" && <Report />}
    </Shell>
  );
}

function Report() {
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    void load();
  };
  const title: Key = REPORTS[report.value];
  return (
    <>
      <div class="tabs" role="group" aria-label={t("operator")}>
        {(Object.keys(REPORTS) as Report[]).map((name) => (
          <button
            key={name}
            type="button"
            aria-pressed={name === report.value}
            onClick={() => {
              report.value = name;
              void load();
            }}
          >
            {t(REPORTS[name])}
          </button>
        ))}
      </div>
      <form class="range" onSubmit={submit}>
        <label class="field">
          <span>{t("operator.from")}</span>
          <input type="date" value={from.value} onInput={(event) => (from.value = event.currentTarget.value)} />
        </label>
        <label class="field">
          <span>{t("operator.to")}</span>
          <input type="date" value={to.value} onInput={(event) => (to.value = event.currentTarget.value)} />
        </label>
        <button type="submit" class="button">
          {t("operator.show")}
        </button>
        <a class="button" href={address("csv")} download={`${report.value}.csv`}>
          {t("operator.csv")}
        </a>
      </form>
      <h2>{t(title)}</h2>
      {fault.value && (
        <p class="notice" role="alert">
          {fault.value}
        </p>
      )}
      <Rows rows={rows.value} caption={t(title)} none={t("operator.none")} />
    </>
  );
}
