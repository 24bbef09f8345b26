import { Title, useComputedColorScheme } from '@mantine/core';
import { useEffect, useRef, useState } from 'react';
import SwaggerUI from 'swagger-ui-dist/swagger-ui-es-bundle.js';
import 'swagger-ui-dist/swagger-ui.css';
import { about, askDocument, loginHeader } from '../api';
import { Failure } from '../parts/Failure';

/** Every endpoint, with a client for each. */
export default function Api() {
  const host = useRef<HTMLDivElement>(null);
  const [error, setError] = useState<Error>();
  const scheme = useComputedColorScheme('light');
  useEffect(() => {
    document.documentElement.classList.toggle('dark-mode', scheme === 'dark');
  }, [scheme]);
  useEffect(() => {
    askDocument()
      .then((spec) =>
        SwaggerUI({
          spec,
          domNode: host.current,
          deepLinking: false,
          docExpansion: 'list',
          defaultModelsExpandDepth: -1,
          validatorUrl: null,
          requestInterceptor: (request: { headers: Record<string, string> }) => {
            const login = loginHeader();
            if (login) request.headers.Authorization = login;
            return request;
          },
        }),
      )
      .catch(setError);
  }, []);
  return (
    <div className="api-page">
      <Title order={1} size="h2" mb="md">
        API
      </Title>
      <p className="quiet">
        The OpenAPI document: <a href={about.document}>{about.document}</a>
      </p>
      {error && <Failure error={error} />}
      <div ref={host} />
    </div>
  );
}
