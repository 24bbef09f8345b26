import { Checkbox, JsonInput, NumberInput, PasswordInput, Select, SimpleGrid, TextInput } from '@mantine/core';
import { useState } from 'react';
import type { Problem, PluginSchema, Schema } from '../api';

export type Values = Record<string, unknown>;

export interface Option {
  name: string;
  schema: Schema;
  type: string;
  required: boolean;
  choices?: string[];
  secret: boolean;
}

/** The options that do something, required ones first, each with its plain type. */
export function optionsOf(plugin: PluginSchema): Option[] {
  const { properties = {}, required = [], $defs = {} } = plugin.options;
  return Object.entries(properties)
    .filter(([, schema]) => !schema.idle)
    .map(([name, schema]) => {
      const plain = plainOf(schema, $defs);
      return {
        name,
        schema,
        type: typeof plain.type === 'string' ? plain.type : 'any',
        required: required.includes(name),
        choices: plain.enum?.map(String),
        secret: plain.format === 'password' || plain.writeOnly === true,
      };
    })
    .sort((a, b) => Number(b.required) - Number(a.required));
}

function plainOf(schema: Schema, defs: Record<string, Schema>): Schema {
  if (schema.$ref) return plainOf(defs[schema.$ref.split('/').at(-1)!] ?? {}, defs);
  const others = schema.anyOf?.filter((one) => one.type !== 'null');
  if (others?.length === 1) return plainOf(others[0], defs);
  return schema;
}

const FIRST = ['path', 'file_format_type', 'schema', 'row.num', 'url', 'query', 'table', 'database', 'table_path', 'topic', 'user', 'password', 'log.print.data'];

/** Whether a problem is about an option or something in it: `source[0].FakeSource.schema.fields` is about `schema`. */
export function isOf(option: string, problem: Problem): boolean {
  const rest = problem.place.replace(/^\w+\[\d+\]\.[^.]+\.?/, '');
  return rest === option || rest.startsWith(`${option}.`) || rest.startsWith(`${option}[`);
}

/** The options of a plugin as fields. Only what was filled in is in the values. */
export function OptionForm({ plugin, values, onChange, problems }: { plugin: PluginSchema; values: Values; onChange: (values: Values) => void; problems: Problem[] }) {
  const [all, setAll] = useState(false);
  const options = optionsOf(plugin);
  const shown = all ? options : options.filter((option) => option.required || FIRST.includes(option.name) || option.name in values || problems.some((one) => isOf(option.name, one)));
  const set = (name: string, value: unknown) => {
    const { [name]: _, ...others } = values;
    onChange(value === undefined || value === '' || value === null ? others : { ...others, [name]: value });
  };
  return (
    <>
      <SimpleGrid cols={{ base: 1, md: 2 }} spacing="sm">
        {shown.map((option) => (
          <Field
            key={option.name}
            option={option}
            value={values[option.name]}
            onChange={(value) => set(option.name, value)}
            error={problems.find((problem) => isOf(option.name, problem))?.message}
          />
        ))}
      </SimpleGrid>
      {options.length > shown.length || all ? (
        <Checkbox mt="sm" size="xs" checked={all} onChange={(e) => setAll(e.currentTarget.checked)} label={`All ${options.length} options`} />
      ) : null}
    </>
  );
}

function Field({ option, value, onChange, error }: { option: Option; value: unknown; onChange: (value: unknown) => void; error?: string }) {
  const { name, schema, type, required, choices, secret } = option;
  const common = { label: name, description: schema.description, required, error, 'data-option': name };
  const usual = schema.default === undefined || schema.default === null ? '' : typeof schema.default === 'string' ? schema.default : JSON.stringify(schema.default);
  if (choices)
    return <Select {...common} data={choices} value={(value as string) ?? null} onChange={onChange} placeholder={usual} clearable searchable={choices.length > 8} />;
  if (type === 'boolean')
    return <Select {...common} data={['true', 'false']} value={value === undefined ? null : String(value)} onChange={(found) => onChange(found === null ? undefined : found === 'true')} placeholder={usual} clearable />;
  if (type === 'integer' || type === 'number')
    return <NumberInput {...common} value={(value as number) ?? ''} onChange={(found) => onChange(found === '' ? undefined : found)} placeholder={usual} allowDecimal={type === 'number'} />;
  if (secret) return <PasswordInput {...common} value={(value as string) ?? ''} onChange={(e) => onChange(e.currentTarget.value)} autoComplete="off" />;
  if (type === 'object' || type === 'array' || type === 'any') return <Nested common={common} value={value} onChange={onChange} usual={usual} />;
  return <TextInput {...common} value={(value as string) ?? ''} onChange={(e) => onChange(e.currentTarget.value)} placeholder={usual} />;
}

/** An object or a list, as JSON; a text that is not JSON is a plain text. */
function Nested({ common, value, onChange, usual }: { common: object; value: unknown; onChange: (value: unknown) => void; usual: string }) {
  const [text, setText] = useState(value === undefined ? '' : typeof value === 'string' ? value : JSON.stringify(value, null, 2));
  return (
    <JsonInput
      {...common}
      value={text}
      autosize
      minRows={2}
      maxRows={10}
      placeholder={usual}
      onChange={(found) => {
        setText(found);
        try {
          onChange(found.trim() ? JSON.parse(found) : undefined);
        } catch {
          onChange(found);
        }
      }}
    />
  );
}
