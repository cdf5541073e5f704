/** What the columns of reports and profiles are called, beside the catalogues: only back-office
 * pages need them, and they are loaded with those. A column that is new here keeps its key. */

import { language, maybe } from "../i18n";

type Heading = readonly [en: string, zh: string];

const HEADINGS: Record<string, Heading> = {
  day: ["Day", "日期"],
  week: ["Week", "周"],
  month: ["Month", "月份"],
  currency: ["Currency", "币种"],
  // Revenue
  orders: ["Orders", "订单数"],
  gross: ["Gross", "成交额"],
  refunded: ["Refunded", "已退款"],
  fee_accrued: ["Fee accrued", "应计佣金"],
  fee_refunded: ["Fee refunded", "退还佣金"],
  fee_recognised: ["Fee recognised", "已确认佣金"],
  subscription: ["Subscriptions", "订阅收入"],
  processor_fee: ["Processor fee", "支付手续费"],
  dispute_fee: ["Dispute costs", "争议成本"],
  net_revenue: ["Net revenue", "净收入"],
  take_rate_bps: ["Take rate (bps)", "抽成率（万分之一）"],
  // Allowances
  turns: ["Turns", "回答数"],
  fallback_turns: ["Turns stepped down", "降级回答数"],
  fallback_share: ["Share stepped down", "降级占比"],
  open: ["Open", "进行中"],
  released: ["Released", "已退还"],
  expired: ["Expired", "已过期"],
  people: ["People", "人数"],
  people_exhausted: ["People who ran out", "额度用完人数"],
  // Routing
  kind: ["Kind", "类型"],
  role: ["Role", "角色"],
  share: ["Share", "占比"],
  downgraded: ["Stepped down", "已降级"],
  failed: ["Failed", "失败"],
  aborted: ["Stopped", "已停止"],
  wrong_route: ["Called wrong", "被指判错"],
  cost_usd_micros: ["Cost (µUSD)", "成本（百万分之一美元）"],
  cost_unknown: ["Cost not known", "成本未知"],
  cost_usd_micros_mean: ["Mean cost (µUSD)", "平均成本（百万分之一美元）"],
  input_tokens: ["Tokens in", "输入词元"],
  output_tokens: ["Tokens out", "输出词元"],
  latency_ms_p50: ["Time, median (ms)", "用时中位数（毫秒）"],
  latency_ms_p95: ["Time, 95 % (ms)", "用时 95 分位（毫秒）"],
  first_token_ms_p50: ["First word, median (ms)", "首字中位数（毫秒）"],
  first_token_ms_p95: ["First word, 95 % (ms)", "首字 95 分位（毫秒）"],
  energy_wh_min: ["Energy, least (Wh)", "能耗下限（瓦时）"],
  energy_wh_max: ["Energy, most (Wh)", "能耗上限（瓦时）"],
  // A merchant's orders and profile
  id: ["Number", "编号"],
  state: ["State", "状态"],
  merchant_order_id: ["Your number", "您的订单号"],
  total: ["Total", "合计"],
  name: ["Name", "名称"],
  status: ["Status", "状态"],
  protocol: ["Protocol", "协议"],
  base_url: ["Address", "接口地址"],
  discovery_url: ["Discovery address", "发现地址"],
  settlement: ["Settlement", "结算方式"],
  handoff_template: ["Hand-off address", "跳转地址"],
  outbound_key_set: ["Key to you is set", "已设置接口密钥"],
  webhook_secret_set: ["Webhook secret is set", "已设置 Webhook 密钥"],
};

export function heading(column: string): string {
  const words = Object.hasOwn(HEADINGS, column) ? HEADINGS[column] : undefined;
  return words?.[language.value === "zh" ? 1 : 0] ?? column.replaceAll("_", " ");
}

/** Columns whose values are names of ours, and where the catalogues have them. */
const NAMED: Record<string, string> = { kind: "kind", role: "role", state: "order_state" };

/** The value in the reader's language, where it is one of our names. */
export function named(column: string, value: string): string {
  const prefix = Object.hasOwn(NAMED, column) ? NAMED[column] : undefined;
  return (prefix && maybe(prefix, value)) || value;
}
