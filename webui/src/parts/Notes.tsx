import type { NotificationData } from '@mantine/notifications';
import { lazy, Suspense, useEffect, useState } from 'react';

const library = () => import('@mantine/notifications');
const Shown = lazy(async () => ({ default: (await library()).Notifications }));

let begin = () => {};

/** Says what was done, or why it was not. */
export function tell(note: NotificationData): void {
  begin();
  void library().then(({ notifications }) => notifications.show(note));
}

/** Where it is said; what shows it is loaded when there is something to say. */
export function Notes() {
  const [wanted, setWanted] = useState(false);
  useEffect(() => {
    begin = () => setWanted(true);
  }, []);
  return wanted ? (
    <Suspense fallback={null}>
      <Shown position="bottom-right" />
    </Suspense>
  ) : null;
}
