# The service in a container, from a checkout: docker build -f docs/serving/tarn.Dockerfile -t tarn .
# The user 10001 must be able to read the model and the key:
# docker run -p 8000:8000 -v $PWD/model.pt:/model.pt:ro -v $PWD/key:/key:ro tarn
FROM python:3.12-slim
COPY . /src
RUN python -m venv /tarn && /tarn/bin/pip install --no-cache-dir --constraint /src/constraints.txt "/src[serve]" \
    && rm -rf /src && useradd --create-home --uid 10001 tarn
USER tarn
# The kernels are compiled once, and kept in the image.
RUN /tarn/bin/python -c "from tarn.training.pixels.decode import PictureDecoder; PictureDecoder()"
EXPOSE 8000
HEALTHCHECK --start-period=60s CMD ["/tarn/bin/python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/readyz')"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/tarn/bin/python", "-m", "tarn.inference", "serve"]
CMD ["/model.pt", "--host=0.0.0.0", "--api-key-file=/key"]
