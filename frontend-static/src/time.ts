/** Times in the person's own zone, and one clock that ticks every second for count-downs. */

import { signal } from "@preact/signals";
import { locale } from "./i18n";

/** "14:00" today, "Mon 14:00" within a week, a full date beyond. */
export function formatMoment(iso: string, now: Date = new Date()): string {
  const moment = new Date(iso);
  if (Number.isNaN(moment.getTime())) return "";
  const time: Intl.DateTimeFormatOptions = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  if (moment.toDateString() === now.toDateString()) return format(moment, time);
  const days = Math.abs(moment.getTime() - now.getTime()) / 86_400_000;
  if (days < 6) return format(moment, { weekday: "short", ...time });
  return format(moment, { day: "numeric", month: "short", ...time });
}

function format(moment: Date, options: Intl.DateTimeFormatOptions): string {
  return new Intl.DateTimeFormat(locale(), options).format(moment);
}

/** Whole seconds until `iso`, never below zero. */
export function secondsUntil(iso: string, now: number): number {
  const left = Math.floor((Date.parse(iso) - now) / 1000);
  return Number.isNaN(left) ? 0 : Math.max(0, left);
}

/** 605 is "10:05"; hours only when there are any. */
export function formatCountdown(seconds: number): string {
  const parts = [Math.floor(seconds / 60) % 60, seconds % 60];
  const hours = Math.floor(seconds / 3600);
  const tail = parts.map((part) => String(part).padStart(2, "0")).join(":");
  return hours > 0 ? `${hours}:${tail}` : tail;
}

export const clock = signal(Date.now());

let watchers = 0;
let timer: ReturnType<typeof setInterval> | undefined;

/** Keeps `clock` ticking until the returned function is called; one timer serves all. */
export function watchClock(): () => void {
  clock.value = Date.now();
  watchers += 1;
  timer ??= setInterval(() => (clock.value = Date.now()), 1000);
  return () => {
    watchers -= 1;
    if (watchers > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
}

/** A calendar day such as 2026-11-24, which belongs to the place and not to the reader's zone. */
export function formatDay(day: string): string {
  return calendarDay(day, { weekday: "short", day: "numeric", month: "short" });
}

const DAY = /^\d{4}-\d{2}-\d{2}$/;

/** A day or a moment, whichever it is: a day has neither a time nor a zone that could shift it. */
export function formatWhen(iso: string, now: Date = new Date()): string {
  if (!DAY.test(iso)) return formatMoment(iso, now);
  // Beyond this year, a day without its year would be taken for one of this year.
  const year = iso.startsWith(`${now.getFullYear()}-`) ? undefined : "numeric";
  return calendarDay(iso, { day: "numeric", month: "long", year });
}

function calendarDay(day: string, options: Intl.DateTimeFormatOptions): string {
  const moment = new Date(`${day}T00:00:00Z`);
  if (Number.isNaN(moment.getTime())) return day;
  return format(moment, { ...options, timeZone: "UTC" });
}
