// What the page asks the server for, and who asks.

export interface About {
  version: string;
  api: string;
  document: string;
  only?: string;
}

const meta = document.querySelector<HTMLMetaElement>('meta[name=headrace]');
export const about: About = JSON.parse(meta?.content.startsWith('{') ? meta.content : '{"version":"dev","api":"","document":"openapi.json"}');
export const nonce = document.querySelector<HTMLMetaElement>('meta[name=csp-nonce]')?.content ?? '';

const KEY = 'headrace.login';
let login = sessionStorage.getItem(KEY) ?? '';
const leaving = new Set<() => void>();

/** Calls `act` when the server does not know who asks. */
export function onLogin(act: () => void): () => void {
  leaving.add(act);
  return () => leaving.delete(act);
}

export function logIn(header: string): void {
  login = header;
  if (header) sessionStorage.setItem(KEY, header);
  else sessionStorage.removeItem(KEY);
}

export function basic(user: string, password: string): string {
  const bytes = new TextEncoder().encode(`${user}:${password}`);
  return `Basic ${btoa(String.fromCharCode(...bytes))}`;
}

export interface Problem {
  place: string;
  message: string;
  cure: string;
  line: number;
}

export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly problems: Problem[] = [],
  ) {
    super(message);
  }
}

export const loginHeader = (): string => login;

/** The OpenAPI document, which lies beside the page. */
export const askDocument = async (): Promise<object> => (await askAt(about.document)).json();

export const ask = (path: string, init: RequestInit = {}): Promise<Response> => askAt(about.api + path, init);

async function askAt(path: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  headers.set('X-Requested-With', 'headrace');
  if (login) headers.set('Authorization', login);
  if (!headers.has('Accept')) headers.set('Accept', 'application/json');
  const answer = await fetch(path, { ...init, headers, cache: 'no-store' });
  if (answer.status === 401) leaving.forEach((act) => act());
  if (!answer.ok) throw await refusal(answer);
  return answer;
}

async function refusal(answer: Response): Promise<Refused> {
  const text = await answer.text();
  try {
    const told = JSON.parse(text);
    return new Refused(answer.status, told.message ?? answer.statusText, told.problems ?? []);
  } catch {
    return new Refused(answer.status, answer.status === 401 ? 'the login is wrong' : `${answer.status} ${answer.statusText}`);
  }
}

const early = new Map<string, Promise<unknown>>();

/** The jobs that are seen first. */
export const FIRST_JOBS = 'jobs?limit=100';

/** Asks before anybody waits for the answer: the next `get` of this path takes it. */
export function askEarly(path: string): void {
  const asked = get(path);
  asked.catch(() => early.delete(path));
  early.set(path, asked);
}

export async function get<T>(path: string): Promise<T> {
  const asked = early.get(path) as Promise<T> | undefined;
  early.delete(path);
  return asked ?? (await ask(path)).json();
}

export async function post<T>(path: string, body: string | object): Promise<T> {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return (await ask(path, { method: 'POST', body: text, headers: { 'Content-Type': 'application/json' } })).json();
}

/**
 * Server-sent events, read with fetch: an EventSource cannot say who asks. Comes back by itself until `signal`, and is told then
 * what has changed since the last one that has come.
 */
export async function events(on: (name: string, data: string) => void, onState: (open: boolean) => void, signal: AbortSignal): Promise<void> {
  let last = '';
  while (!signal.aborted) {
    try {
      const answer = await ask('events', { signal, headers: { Accept: 'text/event-stream', ...(last ? { 'Last-Event-ID': last } : {}) } });
      onState(true);
      const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
      let rest = '';
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        const parts = (rest + value).split('\n\n');
        rest = parts.pop()!;
        for (const part of parts) {
          const fields = new Map(part.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]));
          if (fields.has('data')) on(fields.get('event') ?? 'message', fields.get('data')!);
          last = fields.get('id') ?? last;
        }
      }
    } catch {
      if (signal.aborted) return;
    }
    onState(false);
    await new Promise((done) => setTimeout(done, 2000));
  }
}

// ------------------------------------------------------------------------------------------------------------- answers

export interface BriefJob {
  jobId: string;
  jobName: string;
  jobStatus: string;
  jobMode: string;
  createTime: string;
  finishTime: string | null;
  errorMsg: string | null;
  sourceReceivedCount: string;
  sinkWriteCount: string;
  slowSide: string;
  lag: number | null;
  createdAt: number;
  startedAt: number;
  endedAt: number | null;
  version: number;
}

export interface Dag {
  pipelineEdges: Record<string, { inputVertexId: string; targetVertexId: string }[]>;
  vertexInfoMap: { vertexId: number; type: string; vertexName: string; tablePaths: string[] }[];
}

export interface Delivery {
  source: string;
  sink: string;
  tables: string[];
  targets: string[];
  read: number;
  added: number;
  written: number;
  filtered: number;
  rejected: number;
  ignored: number;
  balanced: boolean;
}

export interface JobInfo {
  jobId: string;
  jobName?: string;
  jobStatus: string;
  createTime: string;
  startTime: string | null;
  finishTime?: string | null;
  errorMsg?: string | null;
  envOptions?: Record<string, string>;
  jobDag: Dag & { envOptions?: Record<string, string> };
  metrics: Record<string, string | Record<string, string>>;
  slowSide?: string;
  warnings?: string[];
  deliveryReport?: { balanced: boolean; summary: string; verify: string; deliveries: Delivery[]; reasons?: string[] };
  isStartWithSavePoint?: boolean;
}

export interface Checkpoint {
  checkpointId: number;
  checkpointType: string;
  status: string;
  triggerTimestamp: number;
  completedTimestamp?: number;
  durationMillis?: number;
  stateSize?: number;
  failureReason?: string;
}

export interface PluginSchema {
  name: string;
  kind: string;
  description: string;
  options: Schema;
}

export interface Schema {
  type?: string | string[];
  description?: string;
  default?: unknown;
  enum?: unknown[];
  format?: string;
  idle?: string;
  anyOf?: Schema[];
  $ref?: string;
  $defs?: Record<string, Schema>;
  properties?: Record<string, Schema>;
  required?: string[];
  minimum?: number;
  exclusiveMinimum?: number;
  writeOnly?: boolean;
}

export interface Checked {
  valid: boolean;
  problems: Problem[];
  plan: null | { text: string; jobDag: Dag; tables: Record<string, { path: string; columns: { name: string; type: string }[] }[]>; slots: number };
}

export interface Preview {
  tables: { table: string; columns: { name: string; type: string }[]; rows: (string | null)[][] }[];
}

export interface Replay {
  replayed: number;
  setAsideAgain: number;
  kept: Record<string, number>;
  said: string[];
}
