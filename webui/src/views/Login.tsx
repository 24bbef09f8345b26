import { Button, Center, PasswordInput, SegmentedControl, Stack, TextInput, Title } from '@mantine/core';
import { type FormEvent, useState } from 'react';
import { basic, get, logIn } from '../api';
import { Failure } from '../parts/Failure';

/** Asks who looks: name and password, or a token. */
export default function Login({ onDone }: { onDone: () => void }) {
  const [way, setWay] = useState('password');
  const [user, setUser] = useState('');
  const [secret, setSecret] = useState('');
  const [error, setError] = useState<Error>();
  const [busy, setBusy] = useState(false);

  async function send(event: FormEvent) {
    event.preventDefault();
    setBusy(true);
    logIn(way === 'password' ? basic(user, secret) : `Bearer ${secret}`);
    try {
      await get('whoami');
      onDone();
    } catch (failed) {
      logIn('');
      setError(failed as Error);
    } finally {
      setBusy(false);
    }
  }

  return (
    <Center mih="100dvh" p="md" component="main">
      <form onSubmit={send} className="card" style={{ width: '22rem', padding: '1.75rem' }}>
        <Stack>
          <Title order={1} size="h3">
            Log in to Headrace
          </Title>
          <SegmentedControl
            value={way}
            onChange={setWay}
            aria-label="Way to log in"
            data={[
              { value: 'password', label: 'Password' },
              { value: 'token', label: 'Token' },
            ]}
          />
          {way === 'password' && <TextInput label="Name" value={user} onChange={(e) => setUser(e.currentTarget.value)} autoComplete="username" required autoFocus />}
          <PasswordInput
            label={way === 'password' ? 'Password' : 'Token'}
            value={secret}
            onChange={(e) => setSecret(e.currentTarget.value)}
            autoComplete="current-password"
            required
          />
          <Button type="submit" loading={busy}>
            Log in
          </Button>
          {error && <Failure error={error} />}
        </Stack>
      </form>
    </Center>
  );
}
