import { ActionIcon, AppShell, Burger, Group, Loader, NavLink, Text, useComputedColorScheme, useMantineColorScheme, VisuallyHidden } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { lazy, Suspense, useEffect, useRef, useState } from 'react';
import { Link, Route, Router, Switch, useLocation } from 'wouter';
import { useHashLocation } from 'wouter/use-hash-location';
import { about, get, logIn, onLogin, Refused } from './api';
import icon from './icon.svg';
import { useLive } from './live';
import { Icon } from './parts/Icon';
import { Failure } from './parts/Failure';
import { Jobs } from './views/Jobs';
import { Overview } from './views/Overview';
import { type Who, WhoContext } from './who';

// what is looked at first comes first: the other views when they are asked for
const Job = lazy(() => import('./views/Job'));
const Plugins = lazy(() => import('./views/Plugins'));
const NewJob = lazy(() => import('./views/NewJob'));
const Api = lazy(() => import('./views/Api'));
const Login = lazy(() => import('./views/Login'));

export function App() {
  if (about.only === 'api')
    return (
      <main className="api-page" style={{ padding: '1.5rem', maxWidth: '80rem', margin: '0 auto' }}>
        <Suspense fallback={<Loader />}>
          <Api />
        </Suspense>
      </main>
    );
  return <Known />;
}

function Known() {
  const client = useQueryClient();
  const who = useQuery({ queryKey: ['who'], queryFn: () => get<Who>('whoami'), staleTime: Infinity });
  const [left, setLeft] = useState(false);
  useEffect(() => onLogin(() => setLeft(true)), []);
  const unknown = left || (who.error instanceof Refused && [401, 429].includes(who.error.status));
  if (unknown)
    return (
      <Suspense fallback={<Loader m="xl" />}>
        <Login
          onDone={() => {
            setLeft(false);
            void client.resetQueries();
          }}
        />
      </Suspense>
    );
  if (who.error) return <Failure error={who.error} />;
  if (!who.data) return <Loader m="xl" />;
  return (
    <WhoContext.Provider value={who.data}>
      <Router hook={useHashLocation}>
        <Shell who={who.data} />
      </Router>
    </WhoContext.Provider>
  );
}

const VIEWS = [
  { path: '/', name: 'Overview', icon: 'overview' },
  { path: '/jobs', name: 'Jobs', icon: 'jobs' },
  { path: '/new', name: 'New job', icon: 'plus', changes: true },
  { path: '/plugins', name: 'Plugins', icon: 'plugins' },
  { path: '/api', name: 'API', icon: 'api' },
] as const;

const isAt = (view: string, location: string): boolean =>
  view === '/' ? location === '/' : location.startsWith(view) || (view === '/jobs' && location.startsWith('/job/'));

function Shell({ who }: { who: Who }) {
  const [opened, { toggle, close }] = useDisclosure();
  const [location] = useLocation();
  const live = useLive();
  const client = useQueryClient();
  const shown = useRef<string>(undefined);
  useEffect(close, [location]);
  useEffect(() => {
    const view = VIEWS.find((one) => isAt(one.path, location))?.name;
    document.title = view ? `${view} · Headrace` : 'Headrace';
    // what had the focus may be gone with the view before: the keys go on in the new one
    const began = shown.current === undefined;
    shown.current = location;
    if (began) return;
    if (!document.activeElement || document.activeElement === document.body) document.getElementById('main')?.focus({ preventScroll: true });
  }, [location]);
  return (
    <AppShell header={{ height: 56 }} navbar={{ width: 208, breakpoint: 'sm', collapsed: { mobile: !opened } }} padding={{ base: 'md', md: 'xl' }}>
      <a
        className="skip"
        href="#main"
        onClick={(event) => {
          event.preventDefault();
          document.getElementById('main')?.focus();
        }}
      >
        Skip to the content
      </a>
      <AppShell.Header px="md" style={{ background: 'var(--card)' }}>
        <Group h="100%" justify="space-between" wrap="nowrap">
          <Group gap="sm" wrap="nowrap">
            <Burger opened={opened} onClick={toggle} hiddenFrom="sm" size="sm" aria-label="Menu" />
            <Link href="/" className="brand">
              <img src={icon} alt="" />
              Headrace
            </Link>
          </Group>
          <Group gap="sm" wrap="nowrap">
            <span className={`state ${live.open ? 'good' : 'warn'}`} role="status">
              {live.open ? 'live' : 'connecting'}
            </span>
            <Scheme />
            {who.login && (
              <ActionIcon
                variant="subtle"
                color="gray"
                aria-label="Log out"
                title="Log out"
                onClick={() => {
                  logIn('');
                  void client.resetQueries();
                }}
              >
                <Icon name="leave" />
              </ActionIcon>
            )}
          </Group>
        </Group>
      </AppShell.Header>
      <AppShell.Navbar p="sm" style={{ background: 'var(--card)' }}>
        {VIEWS.filter((view) => !('changes' in view) || who.role === 'operator').map((view) => {
          const active = isAt(view.path, location);
          return (
            <NavLink
              key={view.path}
              component={Link}
              href={view.path}
              label={view.name}
              active={active}
              aria-current={active ? 'page' : undefined}
              leftSection={<Icon name={view.icon} />}
              style={{ borderRadius: 8 }}
            />
          );
        })}
        <Text size="xs" className="quiet" mt="auto" px="sm">
          {who.role === 'viewer' && <>You may look, and change nothing. </>}Headrace {about.version}
        </Text>
      </AppShell.Navbar>
      <AppShell.Main id="main" tabIndex={-1} style={{ outline: 'none' }}>
        <Suspense fallback={<Loader />}>
          <Switch>
            <Route path="/" component={Overview} />
            <Route path="/jobs/:state?">{(params) => <Jobs key={params.state} state={params.state} />}</Route>
            <Route path="/job/:id/:tab?">{(params) => <Job key={params.id} id={params.id} tab={params.tab ?? 'graph'} />}</Route>
            <Route path="/new/:how?/:from?">{(params) => <NewJob how={params.how} from={params.from} />}</Route>
            <Route path="/plugins/:kind?/:name?">{(params) => <Plugins kind={params.kind} name={params.name} />}</Route>
            <Route path="/api" component={Api} />
            <Route>
              <h1>There is no such view</h1>
            </Route>
          </Switch>
        </Suspense>
      </AppShell.Main>
    </AppShell>
  );
}

function Scheme() {
  const { setColorScheme } = useMantineColorScheme();
  const scheme = useComputedColorScheme('light');
  const other = scheme === 'dark' ? 'light' : 'dark';
  return (
    <ActionIcon variant="subtle" color="gray" onClick={() => setColorScheme(other)} title={`Use ${other} colours`}>
      <VisuallyHidden>Use {other} colours</VisuallyHidden>
      <Icon name={scheme === 'dark' ? 'sun' : 'moon'} />
    </ActionIcon>
  );
}
