// The score in plain arithmetic, as the server reckons it: terms added from left to right.

import { signal } from "../html.js";
import { get } from "./api.js";

/** The policy in force; null until it has come. */
export const policy = signal(null);

const DAY_MS = 86_400_000;

/** Reads the policy. */
export async function loadPolicy() {
  const told = await get("/v1/policy");
  policy.value = told.policy ?? told;
}

/** Returns the four terms of a score: name, weight, factor (0 to 1), value. */
export function terms(rules, row, now) {
  const age = Math.max(0, now - row.last_activity_ms);
  const factors = {
    severity: rules[`severity_${row.severity.toLowerCase()}`],
    interactions: Math.min(1, row.interactions / rules.interactions_cap),
    escalations: Math.min(1, row.escalations / rules.escalations_cap),
    recency: Math.exp(-age / rules.recency_constant_ms),
  };
  return Object.entries(factors).map(([name, factor]) => {
    const weight = rules[`${name}_weight`];
    return { name, weight, factor, value: weight * factor };
  });
}

/** Returns the score of a row now; the one it came with while no policy is known. */
export function score(rules, row, now) {
  if (!rules) return row.score;
  const [a, b, c, d] = terms(rules, row, now).map((one) => one.value);
  return a + b + c + d;
}

/** Returns the confidence now of a threat of level 2 or 3. */
export function confidence(rules, row, now) {
  if (!rules || row.level !== 3 || row.protected) return row.confidence;
  const days = Math.max(0, now - (row.entered_ms ?? now)) / DAY_MS;
  return Math.max(rules.decay_floor, row.entry_confidence * rules.decay_per_day ** days);
}

/** Returns how long a threat of this severity may wait for somebody, in milliseconds. */
export function targetMs(rules, severity) {
  return rules ? rules[`target_${severity.toLowerCase()}_ms`] : 0;
}
